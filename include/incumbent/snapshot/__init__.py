"""Stage or shared package: snapshot."""
