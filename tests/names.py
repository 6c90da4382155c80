"""Names that somebody may give to anything, or that come from somebody else's file: odd ones, and hostile ones."""

ODD = [
    "", " ", "W'", 'W"', "W²", "hₜ", "ﬁ",
    "lstm.W_hh", "rnn.weight_ih_l0", "my-weight", "2nd", "W hh", "权重", "λ", "🙂",
    "a\tb", "ﷺ" * 10, "e\u0301", "i" * 3000, "None", "class", "lambda", "def", "__class__", "__debug__",
    "self", "np", "out",
    "array", "t", "temporary_0", "given_0", "view_0", "input_0", "all_state_1", "buffers", "%s %d %(x)s",
    "{0} {x} {{",
    "$HOME", "~", "C:\\temp\\new", "../../etc/passwd", "a/b", "NaN", "inf", "-1", "[0]", "a,b;c", "a=b",
    "#", "@", "\\",
    "|",
]  # fmt: skip

# What each of them would do if it were taken for code is to set ``builtins.PWNED``, or to end where it stands.
CODE = [
    "__import__('builtins').__dict__.update(PWNED=1) or W",
    "W): pass\nimport builtins; builtins.PWNED = 1\ndef f(x",
    "x\n    import builtins; builtins.PWNED = 1\n    y",
    "x\r    import builtins; builtins.PWNED = 1\r    y",
    "x\x0cimport builtins; builtins.PWNED = 1",
    "x\u2028import builtins; builtins.PWNED = 1",
    "'''\nimport builtins; builtins.PWNED = 1\n'''",
    '"""\nimport builtins; builtins.PWNED = 1\n"""',
    "{__import__('builtins').__dict__.update(PWNED=1)}",
    "W = __import__('builtins').__dict__.update(PWNED=1)",
]

MARKUP = [
    "<!--<script>", "<!--", "-->", "<script>alert(1)</script>", "</script><script>alert(1)</script>", "</SCRIPT >",
    "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", '"><script>alert(1)</script>', "' onmouseover='alert(1)",
    "&lt;", "&#60;", "&amp;", "&", "<", ">", "]]>", "<![CDATA[", "<?xml?>", "</title>", "</style>",
    "</svg>", "</text>",
    "javascript:alert(1)", "\u2028", "\u2029", "`${alert(1)}`",
    'W" [label="', 'a"];b->c;"', "\\N", "\\l", "a\\", 'a\\"', "<b>W</b>", "{a|b}", "<f0>", "//", "/* */",
    "\\input{/etc/passwd}", "\\write18{ls}", "$x$", "x_y^z", "\\end{equation}", "%", "~^",
    "| a | b |", "[a](javascript:alert(1))", "![a](http://example.org/a.png)", "# title", "* a", "```",
    "a\n\nb", "---",
    "=1+1", "+1", "@SUM(A1)", "-1+1", "=cmd|' /C calc'!A0", "a,b", 'a"b', "a\r\nb", "a\nb",
]  # fmt: skip

TERMINAL = [
    "\x1b[31mred", "\x1b]0;title\x07", "\x1b[2J", "\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m", "\x07",
    "\x08\x08\x08", "\r\x1b[Kdone", "a\rb", "\x00", "a\x00b", "\x7f", "\x85", "\u202eevil", "\u2066a\u2069",
    "\ufeff", "\ud800", "\udcff",
    "\ufffe", "\u200b", "\x1c", "\x0b",
]  # fmt: skip

NAMES = [*ODD, *CODE, *MARKUP, *TERMINAL]
