"""Stage or shared package: evaluate."""
