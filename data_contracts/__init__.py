"""Data contracts: what each dataset means, which rows are accepted, when it is refused.

Start at ``registry.contract`` and ``validation.validate``; both are imported from their modules,
so that nothing heavy is loaded before it is used.
"""

__all__: list[str] = []
