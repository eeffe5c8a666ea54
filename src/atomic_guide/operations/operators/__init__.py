"""Operators: who may run this installation, their sessions in the console, what each of them did, what needs two."""
