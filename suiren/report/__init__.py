"""WHAT HAPPENED: one answer in every form: terminal, JSON, Perfetto, page.

answer.py (numbers) ──▶ screen.py · document.py (JSON) · perfetto.py · page.py (HTML)
"""
