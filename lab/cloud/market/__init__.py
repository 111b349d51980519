"""The Spot market: what MiniStack lacks of EC2 and Auto Scaling, with machines behind it. Runs inside MiniStack's process."""
