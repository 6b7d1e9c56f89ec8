"""Stage or shared package: train."""
