"""Float64 arrays in, float64 arrays out: the compiled arithmetic of the engine.

Modules are imported by name (``engine.kernels.tail``, ``engine.kernels.black76``), so that
whoever needs none of them does not wait for the compiler.
"""

__all__: list[str] = []
