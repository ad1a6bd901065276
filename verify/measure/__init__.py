"""What is measured, by subject: named values of a case. No claim, no verdict, no picture."""
