"""The practice LMS: a platform on this computer, for development, with the real login, keys and signatures.

Its page is at `http://localhost:PORT/practice` while the tool is at `http://127.0.0.1:PORT`, so that the course in
its frame is third-party, as in a real LMS.
"""
