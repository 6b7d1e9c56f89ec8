"""Stage or shared package: monitor."""
