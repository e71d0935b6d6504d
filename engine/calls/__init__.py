"""What a client owes, or gets back, under its agreement. See README.md."""

__all__ = [
    "credit_support",
    "disputes",
    "due_dates",
    "escalation",
    "loan_margin_call",
    "margin_call",
    "permissions",
    "returns",
    "standing",
    "states",
    "substitution",
    "terms",
]
