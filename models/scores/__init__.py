"""How good answers are: metrics, folds, masking, and cheap estimators beside the model."""
