"""Campaigns: inputs drawn for as long as `seeds` says; each is taken, or what is wrong is told."""
