"""The review page: a person looks at a plan, corrects it, signs it off. Served to this machine only."""
