"""Forms that propose a change of authority, one for each kind of thing that can be changed.

A form shows what is now and turns what was typed into edits (`approvals.authority.edits`). Whether the edits are possible,
and who has to sign them, `approvals.changes` says; nothing is judged here.
"""
