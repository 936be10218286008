"""The rules of this house: how long things are, which words stand nowhere, that pages are true."""
