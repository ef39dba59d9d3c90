"""placeholder"""
def meeting(i): return False
