"""Stage or shared package: promote."""
