"""The processes that send. Only `python -m atomic_guide.operations.loadtest.runner` imports what is in here.

Every module stands on gevent's patched standard library, which `__main__` has in place before all other imports.
"""
