"""Instructions of the tasks in many words: a module for each task, without examples, answers or grades."""
