"""Adapters that PEFT trains and saves, and what PEFT computes with them."""
