"""Stage or shared package: validate."""
