"""The one exception that means: the user can mend this."""


class UserError(ValueError):
    """A foreseeable mistake in a config, a data set, a checkpoint or an argument.

    The message names what is wrong, what was expected and how to mend it. The command-line tools
    print it without a traceback and exit with code 2.
    """
