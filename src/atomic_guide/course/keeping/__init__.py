"""Keeping and forgetting: what personal data there is, its export, its erasure, holds, retention, who read it."""
