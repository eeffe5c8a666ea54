"""Copies of lectures in other stores: what is where, made and looked over by jobs, deleted with a receipt."""
