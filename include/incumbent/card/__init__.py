"""The model card of a version and the evidence behind it, made from records alone: no stage knows it."""
