package config

// BuiltIn returns the classes this package knows by name.
func BuiltIn() []string { return builtIn[:] }
