"""What people see: admin site, sign-in, people. No AWS credentials, no boto3."""
