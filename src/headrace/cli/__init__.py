"""The command line: one short function a command. It asks the services and shows what they answer."""
