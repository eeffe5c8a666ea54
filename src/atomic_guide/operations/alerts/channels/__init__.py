"""Where alerts are told: one module for each kind of channel; docs/alerts.md says how to add one."""
