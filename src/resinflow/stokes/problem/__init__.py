"""What is solved: the staggered grid, its walls and pores, and the discrete equations."""
