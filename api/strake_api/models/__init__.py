"""What all models are built on: strict documents, unions of forms, CEL rules."""
