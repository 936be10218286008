"""What a step of training takes, told and measured."""
