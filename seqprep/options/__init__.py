"""What a person writes in the parts of a recipe; standard library only."""
