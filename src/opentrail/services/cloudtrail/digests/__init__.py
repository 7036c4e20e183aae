"""Digest files: a signed chain per trail and region that names every log file with its hash.

Source: CloudTrail user guide, "CloudTrail digest file structure".
"""
