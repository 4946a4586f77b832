"""The work of a job: files in, files out. Prints nothing.

    job = Job(items(["photo.jpg"], recursive=False), plan({"seconds": 5}))
    for event in job.events():
        print(event)

A frontend makes a plan of plain values, starts a job with it (or `enhance`s one photo in memory),
and shows its events; all else is done here or below.
"""
