"""Stage or shared package: stats."""
