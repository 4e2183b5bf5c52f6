# Decides whether a task of the type `code` counts as done: the program of its run has to pass its own check.
# `verify` of the route in clawfiles.toml names this script; put your own tests here.
run=$(echo "$CLAWFILES_TASK" | tr A-Z a-z | sed 's/-develop.*//')
exec python3 "flows/$run/program.py" --check
