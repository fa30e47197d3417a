"""Text to syntax tree, and what to tell about text that is none.

characters ──tree──▶ bare tree ──items──▶ nodes            `parse` is the door
└─stop──▶ mistake ──▶ diagnostics
"""
