"""placeholder"""
from soap import EwsError
def by_id(box, text): raise EwsError("ErrorInvalidIdMalformed")
def between(item, start, end): return [item]
