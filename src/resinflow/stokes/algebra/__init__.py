"""How it is solved: rows, kernels, multigrid, the preconditioner and the Krylov method."""
