"""The pipe network: what lies in the ground (`pipes`), its files (`inp`) and what is wrong with it."""
