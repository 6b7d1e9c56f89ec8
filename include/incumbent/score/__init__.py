"""Stage or shared package: score."""
