"""What a client owes, or gets back, under its agreement. See README.md."""

__all__ = ["credit_support", "loan_margin_call", "margin_call"]
