"""pefc beside HF PEFT, with equal tensors."""
