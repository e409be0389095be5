#!/bin/sh
# env.sh PROGRAMS CONFIG WHAT...: change the world in the middle of a dialogue. Exit status 77: cannot.
moggy="$1/moggy -c $2"; shift 2
case "$1" in
allow) exec $moggy allow add --note acceptance "$2" ;;
deny) exec $moggy deny add --note acceptance "$2" ;;
trap) exec $moggy trap add --note acceptance "$2" ;;
*) exit 77 ;;
esac
