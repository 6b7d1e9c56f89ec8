"""Stage or shared package: features."""
