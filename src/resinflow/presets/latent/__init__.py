"""The preset latent: a dual-branch VAE and a diffusion model in its latent."""
