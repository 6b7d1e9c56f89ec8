"""Stage or shared package: retrain."""
