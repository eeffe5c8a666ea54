"""The learning tool: who came from which LMS, what was said, watched and scored."""
