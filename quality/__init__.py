"""Is this number true? Pure numpy estimators, one a file, and the gate that combines them.

`estimator.Estimator` is the contract; `tests/quality/test_contract.py` holds every estimator to it.
"""
